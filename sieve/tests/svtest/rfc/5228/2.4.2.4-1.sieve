# RFC 5228, section 2.4.2.4
require "encoded-character";
if header :contains "Subject" "$${hex:24 24}" {
   discard;
}
