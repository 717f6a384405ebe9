use super::*;

/// Each token with what was built for it, and the number of faults.
pub(crate) fn kinds(source: &str) -> (Vec<(TokenKind<'_>, Vec<u8>)>, usize) {
    let mut sink = Sink::new(source.as_bytes(), 100);
    let mut lexer = Lexer::new(&mut sink);
    let mut kinds = Vec::new();
    loop {
        lexer.advance();
        let kind = lexer.token.kind;
        kinds.push((kind, std::mem::take(&mut lexer.built)));
        if kind == TokenKind::End {
            return (kinds, sink.list.len());
        }
    }
}

fn of(kind: TokenKind<'static>) -> (TokenKind<'static>, Vec<u8>) {
    (kind, Vec::new())
}

#[test]
fn tokens_of_every_kind() {
    let (tokens, faults) = kinds("if :Over 2K /* c */ [\"a\\\"b\",\"c\"] # x\n;");
    assert_eq!(faults, 0);
    assert_eq!(
        tokens,
        [
            of(TokenKind::Identifier("if")),
            of(TokenKind::Tag("Over")),
            of(TokenKind::Number(2048)),
            of(TokenKind::Mark(b'[')),
            (TokenKind::BuiltText, b"a\"b".to_vec()),
            of(TokenKind::Mark(b',')),
            of(TokenKind::Text(b"c")),
            of(TokenKind::Mark(b']')),
            of(TokenKind::Mark(b';')),
            of(TokenKind::End),
        ]
    );
}

#[test]
fn strings_and_words_end_where_they_end() {
    // Each octet at each place of some eights, before and behind what ends a string.
    for octet in 0..=u8::MAX {
        for place in 0..20 {
            let mut text = vec![b'x'; 20];
            text[place] = octet;
            let special = matches!(octet, b'"' | b'\\' | b'\r' | b'\n' | 0);
            assert_eq!(plain(&text), if special { place } else { 20 });
            let is_word = octet.is_ascii_alphanumeric() || octet == b'_';
            assert_eq!(word(&text), if is_word { 20 } else { place });
            let is_field = (33..=126).contains(&octet) && octet != b':';
            assert_eq!(is_field_name(&text), is_field);
        }
    }
    assert_eq!((plain(b""), word(b""), is_field_name(b"")), (0, 0, false));
    assert_eq!(plain(b"a\tb\x80\xFF\x0B\x0C\"c\\defghi"), 7);
}

#[test]
fn multi_line_is_unstuffed_and_has_crlf() {
    let (tokens, faults) = kinds("text: # note\na\r\n..b\n.c\n.\n;");
    assert_eq!(faults, 0);
    let text = b"a\r\n.b\r\n.c\r\n".to_vec();
    assert_eq!(tokens[0], (TokenKind::BuiltText, text));
    assert_eq!(tokens[1], of(TokenKind::Mark(b';')));
}

#[test]
fn lines_are_counted_through_all_that_spans_some() {
    let source = "\u{feff}if\r\n\n/* a\n\nb */ true # c\n{ \"d\ne\\\nf\r\ng\" text: # h\n..\ni\n.\n'j' // k\n@\n/**/}\n\
        text:\r\nl\r\n.\r\n; :m 5K [ /* open\n\n";
    let mut sink = Sink::new(source.as_bytes(), 100);
    let tokens = lex(&mut sink).tokens;
    assert_eq!(tokens.len(), 13, "{tokens:?}");
    let starts = |at: usize| source[..at].matches('\n').count() + 1;
    for token in tokens.iter().take(12) {
        assert_eq!(token.line as usize, starts(token.span.start), "{token:?}");
    }
}

#[test]
fn faults_are_counted_once() {
    assert_eq!(kinds("@@@ %%%").1, 2);
    assert_eq!(kinds("\"open").1, 1);
    assert_eq!(kinds("/* open").1, 1);
    assert_eq!(kinds("text:\nopen").1, 1);
    assert_eq!(kinds("99999999999999999999").1, 1);
    assert_eq!(kinds("12x").1, 1);
    assert_eq!(kinds(": x").1, 1);
}
