# RFC 5293, section 7
require ["fileinto", "editheader"];
addheader "X-Hello" "World";
if header :contains "X-Hello" "World"
{
        fileinto "international";
}
