# RFC 5293, section 7
require ["editheader"];
keep;
addheader "X-Flavor" "vanilla";
keep;
