require ["include", "variables"];
global ["test", "mailbox"];
if header :contains "Subject" "$$" {
    set "test" "${test}x spam";
    set "mailbox" "${global.mailbox}-by-include";
    return;
}
discard;
