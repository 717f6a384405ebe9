# RFC 8579, section 4 (corrected: with :matches, which leaves ${1})
require "imapsieve";
require "special-use";
require "environment";
require "variables";

if environment :matches "imap.mailbox" "*" {
  set "mailbox" "${1}";
}

if allof(
  environment "imap.cause" "COPY",
  specialuse_exists "${mailbox}" "\\Junk") {
  redirect "spam-report@example.org";
}
