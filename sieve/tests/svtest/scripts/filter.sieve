require "vnd.dovecot.filter";
filter "no";
filter "upper";
