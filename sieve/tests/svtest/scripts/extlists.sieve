require ["extlists", "envelope", "variables"];
if envelope :list "from" ":addrbook:default" {
    if string "${0}" "ann@example.org" { discard; }
}
