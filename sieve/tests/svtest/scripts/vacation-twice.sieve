require "vacation";
vacation :addresses "alias@example.com" "1"; vacation :addresses "alias@example.com" "2";
