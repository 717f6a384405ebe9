require ["include", "variables", "fileinto"];
global ["test", "mailbox"];
set "mailbox" "spam";
include :personal "spam_tests";
include :once :personal "spam_tests";
if string "${test}" "x spam" { fileinto "${mailbox}"; stop; }
