require ["vacation", "variables"];
set "word" "Gruß";
vacation :mime "X-A: ${word}

Weg.";
