# RFC 8579, section 4.1
require "fileinto";
require "special-use";

fileinto :specialuse "\\Junk" "Spam";
