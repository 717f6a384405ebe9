# RFC 5293, section 7
require ["editheader", "index"];
addheader "X-Hello" "World";
deleteheader :index 1 "X-Hello";
