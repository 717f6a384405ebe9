require ["redirect-dsn", "variables"];
set "when" "SOMETIMES";
redirect :notify "${when}" "a@example.org";
