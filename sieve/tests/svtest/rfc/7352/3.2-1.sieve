# RFC 7352, section 3.2
require "duplicate";
if duplicate {
  discard;
}
