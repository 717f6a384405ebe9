require "vacation";
vacation :from "Bob <bob@example.com>, nobody" :mime "X-Gruß: ja

Weg.";
