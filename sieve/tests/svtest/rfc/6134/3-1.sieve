# RFC 6134, section 3
require ["extlists"];
redirect :list ":addrbook:default";
