# RFC 5435, section 5 (corrected: `tel:` of the RFC, which no host here offers, is mail)
require ["enotify"];

if notify_method_capability
       "xmpp:tim@example.com?message;subject=SIEVE"
       "Online"
       "yes" {
    notify :importance "1" :message "You got mail"
         "xmpp:tim@example.com?message;subject=SIEVE";
} else {
    notify :message "You got mail" "mailto:alm@example.com";
}
