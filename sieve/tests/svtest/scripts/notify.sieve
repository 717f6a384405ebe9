require ["enotify", "variables"];
if header :matches "subject" "*" {
    notify :importance "1" :message "boss: ${0}" "mailto:0123456789@sms.example.net?to=backup@example.com";
}
