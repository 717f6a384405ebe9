require "vnd.dovecot.report";
report "abuse" "This spam message slipped through." "spam-report@example.org";
report :headers_only "not-spam" "It was not." "ham-report@example.org";
