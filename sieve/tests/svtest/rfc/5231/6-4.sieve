# RFC 5231, section 6
require ["relational", "comparator-i;ascii-numeric"];
if header :count "ge" :comparator "i;ascii-numeric"
                ["received", "subject"] ["3"]
{
    discard;
}
