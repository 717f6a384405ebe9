# RFC 5229, section 3.1
require ["encoded-character", "variables"];
set "name" "Ethelbert"; # the RFC forgets the semicolon
if header :contains "Subject" "dear${hex:20 24 7b 4e}ame}" {
    # the test string is "dear Ethelbert"
}
