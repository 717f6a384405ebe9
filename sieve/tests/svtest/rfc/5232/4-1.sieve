# The truth values that the section gives.
require ["imap4flags", "variables", "relational", "comparator-i;ascii-numeric"];
setflag "A B";
if not hasflag ["b", "A"] { discard; }
if not hasflag :is "b A" { discard; }
set "MyVar" "NonJunk Junk gnus-forward $Forwarded NotJunk JunkRecorded $Junk $NotJunk";
if not hasflag :contains "MyVar" "Junk" { discard; }
if not hasflag :contains "MyVar" "forward" { discard; }
if not hasflag :contains "MyVar" ["label", "forward"] { discard; }
if not hasflag :contains "MyVar" ["junk", "forward"] { discard; }
if not hasflag :contains "MyVar" "junk forward" { discard; }
if not hasflag :contains "MyVar" "forward junk" { discard; }
if hasflag :contains "MyVar" "label" { discard; }
if hasflag :contains "MyVar" ["label1", "label2"] { discard; }
set "MyFlags" "A B";
if not hasflag :count "ge" :comparator "i;ascii-numeric" "MyFlags" "2" { discard; }
