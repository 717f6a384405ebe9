# RFC 5293, section 7
require ["editheader", "index"];
   deleteheader :index 1 "X-Hello";
   deleteheader :index 2 "X-Hello";
