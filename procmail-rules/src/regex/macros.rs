//! The four macros, replaced in the raw text before it is compiled.

const TO_: &[u8] =
    b"(^((Original-)?(Resent-)?(To|Cc|Bcc)|(X-Envelope|Apparently(-Resent)?)-To):(.*[^-a-zA-Z0-9_.])?)";
const TO: &[u8] =
    b"(^((Original-)?(Resent-)?(To|Cc|Bcc)|(X-Envelope|Apparently(-Resent)?)-To):(.*[^a-zA-Z])?)";
const FROM_DAEMON: &[u8] = b"(^(Mailing-List:|Precedence:.*(junk|bulk|list)|To: Multiple recipients of |(((Resent-)?(From|Sender)|X-Envelope-From):|>?From )([^>]*[^(.%@a-z0-9])?(Post(ma?(st(e?r)?|n)|office)|(send)?Mail(er)?|daemon|m(mdf|ajordomo)|n?uucp|LIST(SERV|proc)|NETSERV|o(wner|ps)|r(e(quest|sponse)|oot)|b(ounce|bs\\.smtp)|echo|mirror|s(erv(ices?|er)|mtp(error)?|ystem)|A(dmin(istrator)?|MMGR|utoanswer))(([^).!:a-z0-9][-_a-z0-9]*)?[%@>\t ][^<)]*(\\(.*\\).*)?)?$([^>]|$)))";
const FROM_MAILER: &[u8] = b"(^(((Resent-)?(From|Sender)|X-Envelope-From):|>?From )([^>]*[^(.%@a-z0-9])?(Post(ma(st(er)?|n)|office)|(send)?Mail(er)?|daemon|mmdf|n?uucp|ops|r(esponse|oot)|(bbs\\.)?smtp(error)?|s(erv(ices?|er)|ystem)|A(dmin(istrator)?|MMGR))(([^).!:a-z0-9][-_a-z0-9]*)?[%@>\t ][^<)]*(\\(.*\\).*)?)?$([^>]|$))";

/// Key, replacement, and whether it turns case folding on whatever `D` says.
const MACROS: [(&[u8], &[u8], bool); 4] = [
    (b"^FROM_DAEMON", FROM_DAEMON, true),
    (b"^TO_", TO_, false),
    (b"^TO", TO, false),
    (b"^FROM_MAILER", FROM_MAILER, false),
];

/// Replaces the macros, in the order procmail does. A key is looked for again from the start
/// after each replacement; an escaped first occurrence hides the later ones.
pub(crate) fn expand(text: &[u8], mut fold: bool) -> (Vec<u8>, bool) {
    let mut text = text.to_vec();
    for (key, replacement, folds) in MACROS {
        // No replacement contains a key, so the search may go on behind it.
        let mut from = 0;
        while let Some(at) = text
            .get(from..)
            .and_then(|rest| memchr::memmem::find(rest, key))
        {
            let at = from + at;
            if at.checked_sub(1).and_then(|before| text.get(before)) == Some(&b'\\') {
                break;
            }
            text.splice(at..at + key.len(), replacement.iter().copied());
            from = at + replacement.len();
            fold |= folds;
        }
    }
    (text, fold)
}
