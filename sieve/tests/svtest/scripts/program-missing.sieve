require "vnd.dovecot.execute";
discard;
execute "missing";
