require ["envelope", "subaddress"];
if envelope :detail "to" "detail" { discard; }
