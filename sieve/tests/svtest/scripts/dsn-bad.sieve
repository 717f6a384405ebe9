require ["envelope", "envelope-dsn", "redirect-dsn", "redirect-deliverby"];
redirect :notify "NEVER,SUCCESS" "a@example.org";
redirect :ret "SOME" "a@example.org";
redirect :bymode "return" "a@example.org";
redirect :bytrace "a@example.org";
redirect :bytimerelative 60 :bymode "R" "a@example.org";
redirect :bytimeabsolute "tomorrow" "a@example.org";
redirect :bytimerelative 60 :bytimeabsolute "2026-05-04T20:00:00Z" "a@example.org";
if envelope :localpart "orcpt" "x" { stop; }
if envelope "bymode" "notify" { stop; }
