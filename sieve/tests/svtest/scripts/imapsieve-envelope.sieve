require ["envelope", "imapsieve"];
if envelope "from" "ann@example.org" { discard; }
