require "vnd.dovecot.execute";
execute :pipe :input "x" "a";
execute :output "x" "a";
execute 1;
