# The values that the RFC prints after its arrows, as tests.
require ["variables"];
set "a" "juMBlEd lETteRS";
set :length "b" "${a}";
if not string :is :comparator "i;octet" "${b}" "15" { discard; }
set :lower "b" "${a}";
if not string :is :comparator "i;octet" "${b}" "jumbled letters" { discard; }
set :upperfirst "b" "${a}";
if not string :is :comparator "i;octet" "${b}" "JuMBlEd lETteRS" { discard; }
set :upperfirst :lower "b" "${a}";
if not string :is :comparator "i;octet" "${b}" "Jumbled letters" { discard; }
set :quotewildcard "b" "Rock*";
if not string :is :comparator "i;octet" "${b}" "Rock\\*" { discard; }
