//! Addresses of this machine, of private networks and of metadata services in every costume, and
//! of others that look like them.

use std::net::Ipv4Addr;
use url::{Host, Url};

/// `PORT` is the canary's.
const WRITTEN: &[&str] = &[
    "http://127.0.0.1:PORT/",
    "https://127.0.0.1:PORT/",
    "https://127.0.0.1/",
    "https://127.1:PORT/",
    "https://127.0.1:PORT/",
    "https://127.255.255.254:PORT/",
    "https://2130706433:PORT/",
    "https://0x7f000001:PORT/",
    "https://0x7f.1:PORT/",
    "https://0x7f.0x0.0x0.0x1:PORT/",
    "https://0177.0.0.1:PORT/",
    "https://0177.1:PORT/",
    "https://017700000001:PORT/",
    "https://0:PORT/",
    "https://0.0.0.0:PORT/",
    "https://0x0:PORT/",
    "https://127.0.0.1.:PORT/",
    "https://127.0.0.1%2e:PORT/",
    "https://%31%32%37.0.0.1:PORT/",
    "https://127\u{3002}0\u{3002}0\u{3002}1:PORT/",
    "https://１２７.０.０.１:PORT/",
    "https://①②⑦.⓪.⓪.①:PORT/",
    "https://[::1]:PORT/",
    "https://[::]:PORT/",
    "https://[0:0:0:0:0:0:0:1]:PORT/",
    "https://[::127.0.0.1]:PORT/",
    "https://[::ffff:127.0.0.1]:PORT/",
    "https://[::ffff:7f00:1]:PORT/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "https://[64:ff9b::127.0.0.1]:PORT/",
    "https://[64:ff9b:1::7f00:1]:PORT/",
    "https://[2002:7f00:1::]:PORT/",
    "https://[fe80::1]:PORT/",
    "https://[fe80::1%25lo]:PORT/",
    "https://[fd00:ec2::254]/",
    "https://[fc00::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/latest/meta-data/",
    "https://0xa9fea9fe/",
    "https://[::ffff:169.254.169.254]/",
    "https://100.100.100.200/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://192.0.0.192/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://1.1.1.1/",
    "https://[2606:4700::1111]/",
    "https://localhost:PORT/",
    "https://localhost./",
    "https://LOCALHOST:PORT/",
    "https://localhost.localdomain/",
    "https://ip6-localhost:PORT/",
    "https://api.example.com@127.0.0.1:PORT/",
    "https://127.0.0.1:PORT@api.example.com/",
    "https://user:pass@api.example.com/",
    "https://@api.example.com/",
    "https://api.example.com:80/",
    "https://api.example.com:22/",
    "https://api.example.com\\@127.0.0.1:PORT/",
    "https:\\\\127.0.0.1:PORT/",
    "https:127.0.0.1:PORT",
    "https:/127.0.0.1:PORT/",
    "https:///127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    "/etc/passwd",
    "file:///etc/passwd",
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/_x",
    "data:text/plain,x",
    "ws://127.0.0.1:PORT/",
    "https://api.example.com#@127.0.0.1:PORT/",
    "https://api.example.com?@127.0.0.1:PORT/",
    "https://api.example.com/?q=1",
    "https://api.example.com/#part",
    "https://api.example.com\r\nHost: 127.0.0.1:PORT/",
    "https://api.example.com\t.evil.example/",
    " https://127.0.0.1:PORT/",
    "https://127.0.0.1 :PORT/",
    "https://api.example.com./",
    "https://api.example.com.evil.example/",
    "https://evil-api.example.com/",
    "https://sub.api.example.com/",
    "https://xn--api-.example.com/",
    "https://",
    "https://:PORT/",
    "",
];

/// Of networks that nobody on the internet is in.
const INWARD: [[u8; 4]; 16] = [
    [127, 0, 0, 1],
    [127, 8, 7, 6],
    [10, 0, 0, 1],
    [10, 255, 255, 254],
    [172, 16, 0, 1],
    [172, 31, 255, 254],
    [192, 168, 0, 1],
    [169, 254, 169, 254],
    [100, 64, 0, 1],
    [0, 0, 0, 0],
    [192, 0, 2, 1],
    [198, 51, 100, 1],
    [203, 0, 113, 1],
    [198, 18, 0, 1],
    [224, 0, 0, 1],
    [240, 0, 0, 1],
];

/// All of them, for a canary on `port`.
pub(crate) fn nasty(port: u16) -> Vec<String> {
    let written = WRITTEN.iter().map(|url| url.replace("PORT", &port.to_string()));
    let spelt = INWARD.iter().flat_map(|octets| spellings(*octets));
    written.chain(spelt.map(|host| format!("https://{host}:{port}/"))).collect()
}

/// Those that lead nowhere but inside, or nowhere at all, at the usual port: names are not among
/// them, because where they lead is seen when they are called.
pub(crate) fn inward() -> Vec<String> {
    let is_name =
        |url: &String| Url::parse(url).is_ok_and(|url| matches!(url.host(), Some(Host::Domain(_))));
    nasty(443).into_iter().filter(|url| !is_name(url)).collect()
}

/// What resolvers and URL parsers take for the same address.
fn spellings([a, b, c, d]: [u8; 4]) -> Vec<String> {
    let number = u32::from(Ipv4Addr::new(a, b, c, d));
    let (high, low) = (number >> 16, number & 0xffff);
    vec![
        format!("{a}.{b}.{c}.{d}"),
        format!("{a}.{b}.{low}"),
        format!("{a}.{}", number & 0xff_ffff),
        number.to_string(),
        format!("{number:#x}"),
        format!("0{number:o}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("{a}.{b}.{c}.{d}."),
        format!("[::ffff:{a}.{b}.{c}.{d}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::]"),
        format!("[::{a}.{b}.{c}.{d}]"),
    ]
}

#[test]
fn the_corpus_is_large() {
    assert!(inward().len() >= 200 && nasty(1).len() > inward().len());
}
