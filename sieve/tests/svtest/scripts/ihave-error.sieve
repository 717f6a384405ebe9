require ["ihave"];
if not ihave "bogus" { error "no bogus here"; }
bogus_command;
