require "variables";
set "1" "x";
set "a b" "x";
set :lower :upper "a" "x";
set :bogus "a" "x";
set "${a}" "x";
set "b" "${100}";
