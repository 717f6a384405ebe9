require "vnd.dovecot.report";
report;
report "abuse";
report "abuse" "Message is spam." 1;
report :frop "abuse" "Message is spam." "frop@example.com";
report "abuse" "Message is spam." "frop@example.com" { }
report "?????" "Message is spam." "frop@example.com";
report "abuse" "Message is spam." "nobody";
