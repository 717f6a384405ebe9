require "ihave";
if ihave "bogus" { bogus_command :with "args"; }
elsif allof (ihave "alsobogus", alsobogus "test") { other; }
elsif ihave "fileinto" { fileinto "there"; }
else { bogus_too; }
