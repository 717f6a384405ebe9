# RFC 5183, section 5
require ["environment"];
if environment :matches "remote-host" "*.example.com" { discard; }
