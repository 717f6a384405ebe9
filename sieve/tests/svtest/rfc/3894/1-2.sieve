# RFC 3894, section 1
require ["fileinto"];
fileinto "unfiltered";
keep;

if header "Subject" "MAKE MONEY FAST!!!"
{
        discard;
}
