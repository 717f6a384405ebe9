# RFC 5231, section 6
require ["relational", "comparator-i;ascii-numeric"];
if anyof ( address :count "ge" :comparator "i;ascii-numeric"
                ["to"] ["3"],
        address :count "ge" :comparator "i;ascii-numeric"
                ["cc"] ["3"] )
{
    discard;
}
