# RFC 5229, section 3.1
require ["variables"];
set "dollar" "$";
set "text" "regarding ${dollar}{beep}";
