require ["vnd.dovecot.execute", "variables", "fileinto"];
if execute "no" { discard; stop; }
if execute :input "in" :output "out" "ask" ["a", "b"] { fileinto "${out}"; }
