# RFC 3894, section 1
require ["fileinto"];
fileinto "unfiltered";
keep;
