# The RFC prints no example; this is the use that its sections 3 and 4 describe.
require ["ihave"];
if ihave ["fileinto", "vnd.example.nonexistent"] {
    frobnicate "nobody looks into this";
} elsif ihave "fileinto" {
    fileinto "INBOX.kept";
} else {
    error "neither of them";
}
