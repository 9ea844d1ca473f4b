"""Webhook URLs and addresses: what core makes of them, compared with others that read the same. A
URL must mean one host and one port to us and to libcurl, which connects; which addresses are public
is compared with Python's `ipaddress`, and where the two differ the registry has the last word."""

import ctypes
import ctypes.util
import ipaddress
import urllib.parse

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.core_tool import CoreTool

pytestmark = pytest.mark.one_thread

SETTINGS = settings(max_examples=1500, deadline=None, derandomize=True, database=None,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


@pytest.fixture(scope="module")
def tool():
    tool = CoreTool()
    yield tool
    tool.close()


# ── URLs ─────────────────────────────────────────────────────────────────────────────────────────

curl = ctypes.CDLL(ctypes.util.find_library("curl") or "libcurl.so.4")
curl.curl_url.restype = ctypes.c_void_p
curl.curl_url_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
curl.curl_url_get.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint]
curl.curl_url_cleanup.argtypes = curl.curl_free.argtypes = [ctypes.c_void_p]

URL, SCHEME, USER, HOST, PORT, PATH, QUERY, FRAGMENT, ZONE = 0, 1, 2, 5, 6, 7, 8, 9, 10
DEFAULT_PORT, PATH_AS_IS = 1 << 0, 1 << 4


def curls(url):
    """libcurl's reading of a URL, in its parts; None: it reads none."""
    handle = curl.curl_url()
    try:
        if curl.curl_url_set(handle, URL, url.encode(), PATH_AS_IS) != 0:
            return None
        parts = {}
        for part in (SCHEME, USER, HOST, PORT, PATH, QUERY, FRAGMENT, ZONE):
            text = ctypes.c_char_p()
            curl.curl_url_get(handle, part, ctypes.byref(text), DEFAULT_PORT)
            parts[part] = text.value and text.value.decode()
            curl.curl_free(text)
        return parts
    finally:
        curl.curl_url_cleanup(handle)


def check(tool, url):
    """What is taken here is read alike by libcurl and by urllib; true when it is taken."""
    ours = tool.ask("url", url=url)
    if "error" in ours:
        return False
    theirs = curls(url)
    assert theirs, f"{url!r}: libcurl refuses what we take"
    assert theirs[SCHEME] == ("https" if ours["https"] else "http")
    assert theirs[USER] is None and theirs[FRAGMENT] is None and theirs[ZONE] is None
    assert int(theirs[PORT]) == ours["port"]
    assert theirs[PATH] == ours["path"] and (theirs[QUERY] or "") == (ours["query"] or "")
    split = urllib.parse.urlsplit(url)
    assert split.hostname == ours["host"] and split.username is None and not split.fragment
    assert (split.port or (443 if ours["https"] else 80)) == ours["port"]
    if ours["addr"]:
        address = ipaddress.ip_address(ours["addr"])
        assert ipaddress.ip_address(theirs[HOST].strip("[]")) == address
        assert ipaddress.ip_address(split.hostname) == address
    else:
        assert theirs[HOST].lower() == ours["host"]
        # Nothing that libcurl would read as an address is a name to us.
        with pytest.raises(ValueError):
            ipaddress.ip_address(theirs[HOST].strip("[]"))
    return True


REFUSED_HOSTS = """
0x7f.1 0x7f.0.0.1 0X7F000001 0x7f000001 2130706433 017700000001 127.1 127.0.1 0177.0.0.1 00.0.0.0
127.0.0.01 127.0.0.0x1 256.1.1.1 1.2.3.256 1.2.3.4.5 1.2.3 1.2 1 0 0x 0x0 4294967296 1.2.3.4.
127.0.0.1. example.com. example.com.. .example.com a..b . .. %31%32%37.0.0.1 127.0.0.1%00
127.0.0.1%2e example%2ecom exam%70le.com localhost%00.example.com %6c%6f%63%61%6c [::1 ::1 [::1]]
[] [:] [:::] [1::2::3] [1:2:3:4:5:6:7] [1:2:3:4:5:6:7:8:9] [12345::] [::g] [::1%25lo] [::1%lo]
[fe80::1%25eth0] [fe80::1%eth0] [fe80::1%251] [::ffff:127.1] [::ffff:0x7f.0.0.1] [::127.0.0.01]
[127.0.0.1] [v1.fe80::a] [::1]x [::1].com x[::1] [localhost] a@b user:pass@b @b a@b@c
b\\@127.0.0.1 \\127.0.0.1 a\\b ex<ample ex"ample ex`ample ex{a}mple ex|ample ex^ample ex'ample
ex!ample ex$ample ex&ample ex(a)mple ex*ample *.example.com ex+ample ex,ample ex;ample ex=ample
ex~ample пример.рф bücher.example ｌｏｃａｌｈｏｓｔ １２７.0.0.1 ①②⑦.0.0.1 127。0。0。1 exam\u00adple.com
exam\u200bple.com \u202eexample.com faß.de ⓛocalhost ex\tample ex\nample ex\rample ex\x00ample
ex\x0bample ex\x7fample ex\x85ample
""".split(" ")
REFUSED_HOSTS = [host for part in REFUSED_HOSTS for host in [part.strip("\n")] if host]

ODD_PORTS = ["", "0", "00", "080", "0443", "65536", "99999", "4294967739", "18446744073709552059",
             "+443", "-1", "443a", "0x1bb", "4 43", "443:443", "٤٤٣", "4４3", "443@a", "443\\"]

TAKEN = """
https://example.com https://example.com/ https://EXAMPLE.com/A http://example.com:80/
https://xn--bcher-kva.example/x https://a_b.example/ https://-a.example/ https://a-.example/
https://1.2.3.4/ https://1.2.3.4:8443/x?y https://1.2.3.4.example/ https://1.2.3.a/ https://0x7g/
https://0xag.com/ https://1e3.x/ https://[::1]/ https://[::]:1/ https://[0:0:0:0:0:0:0:1]/
https://[::ffff:1.2.3.4]/ https://[2001:DB8::A]/ https://[64:ff9b::1.2.3.4]:65535/?q
https://example.com?a=b https://example.com/?a=b?c https://example.com/a/../b/./c
https://example.com/%2e%2e/%00%ff https://example.com//a//b https://example.com/;p=1,2?x@y:z/../
https://example.com/@127.0.0.1/ https://example.com?@127.0.0.1 https://example.com/:80@b
https://metadata.google.internal/ https://localhost/ https://a https://example.com/?
""".split()


@pytest.mark.parametrize("url", TAKEN)
def test_taken(tool, url):
    assert check(tool, url), tool.ask("url", url=url)


@pytest.mark.parametrize("host", REFUSED_HOSTS, ids=ascii)
def test_hosts_that_are_refused(tool, host):
    for tail in ("", "/", ":443/", "?x", "/hook"):
        answer = tool.ask("url", url=f"https://{host}{tail}")
        assert "error" in answer, answer


@pytest.mark.parametrize("port", ODD_PORTS, ids=ascii)
def test_ports_that_are_refused(tool, port):
    for host in ("example.com", "1.2.3.4", "[::1]"):
        assert "error" in tool.ask("url", url=f"https://{host}:{port}/")


DIGITS = st.sampled_from(["0", "1", "10", "127", "169", "254", "255", "256", "0177", "0x7f", "0X7F",
                          "00", "08", "2130706433", "0x7f000001", "7f", "1e1"])
NUMBERS = st.lists(DIGITS, min_size=1, max_size=5).map(".".join)
WORDS = st.lists(st.sampled_from(["a", "localhost", "example", "com", "xn--a", "_x", "-", "0x", ""]),
                 min_size=1, max_size=4).map(".".join)
SIXES = st.builds("[{}{}]".format, st.ip_addresses(v=6), st.sampled_from(["", "", "%25lo", "%1"]))
HOSTS = st.one_of(NUMBERS, WORDS, SIXES, st.ip_addresses(v=4).map(str),
                  st.builds("{}.{}".format, NUMBERS, WORDS), st.sampled_from(REFUSED_HOSTS))
STRANGE = st.sampled_from(list("@:/?#[]\\%&;.\t\n\r \0。．／＠：？＃\u00ad\u2100xX0127"))


@st.composite
def urls(draw):
    url = draw(st.sampled_from(["https://", "http://", "HTTPS://", "https:/", "https:\\\\", "//"]))
    url += draw(st.sampled_from(["", "", "", "", "u@", "u:p@", "@", "1.2.3.4:80@"]))
    url += draw(HOSTS)
    url += draw(st.sampled_from(["", "", "", ":443", ":1", ":65535", ":65536", ":080", ":", ":x"]))
    url += draw(st.sampled_from(["", "/", "/a/../b", "?", "?a=b", "/@b", "/%41", "?@b:1/", "#x"]))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at = draw(st.integers(0, len(url)))
        url = url[:at] + draw(STRANGE) + url[at + draw(st.integers(0, 1)) :]
    return url


@SETTINGS
@given(url=urls())
@example(url="https://1.2.3.4:80@127.0.0.1/")
def test_what_is_taken_means_the_same_to_libcurl(tool, url):
    check(tool, url)


@SETTINGS
@given(host=HOSTS, port=st.sampled_from(["", ":443", ":8443", ":1"]),
       tail=st.sampled_from(["", "/", "/a?b=c", "?b"]))
def test_plain_urls_mean_the_same_to_libcurl(tool, host, port, tail):
    """As above, but hardly anything else is wrong: hosts that are taken come up often."""
    check(tool, f"https://{host}{port}{tail}")


# ── Addresses ────────────────────────────────────────────────────────────────────────────────────

NET = ipaddress.ip_network

# Where somebody's credentials are handed out. 168.63.129.16 (Azure) and 192.0.0.192 (Oracle) are
# numbers that Python takes for public.
METADATA = [NET(n) for n in """
    169.254.169.254 169.254.170.2 169.254.170.23 169.254.42.42 100.100.100.200 192.0.0.192
    168.63.129.16 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42""".split()]

# The IANA special-purpose registries where ipaddress, in one version or another, says otherwise.
# (network, is it public to us, why)
REGISTRY = [
    ("192.0.0.0/24", False, "IETF protocol assignments: not global but for two addresses"),
    ("192.0.0.9/32", True, "PCP anycast: globally reachable"),
    ("192.0.0.10/32", True, "TURN anycast: globally reachable"),
    ("192.88.99.0/24", False, "6to4 relays: deprecated, a way to tunnel anywhere"),
    ("224.0.0.0/4", False, "multicast: nobody's web server; Python calls some of it global"),
    ("::/0", False, "only 2000::/3 is allocated for global unicast"),
    ("2001::/23", False, "IETF protocol assignments: not global but for those below"),
    ("2001:1::1/128", True, "PCP anycast"),
    ("2001:1::2/128", True, "TURN anycast"),
    ("2001:1::3/128", True, "DNS-SD registration anycast"),
    ("2001:3::/32", True, "AMT: globally reachable"),
    ("2001:4:112::/48", True, "AS112: globally reachable"),
    ("2001:20::/28", True, "ORCHIDv2: globally reachable by the registry"),
    ("2001:30::/28", True, "drone identification: globally reachable by the registry"),
    ("3fff::/20", False, "documentation, newer than some Python"),
]
REGISTRY = [(NET(net), public) for net, public, _ in REGISTRY]

# IPv4 inside IPv6 counts as what it is; ipaddress judges the outside only, or only mapped ones.
INSIDE = [
    ("::ffff:0:0/96", lambda n: [n]),
    ("::/96", lambda n: [n]),
    ("64:ff9b::/96", lambda n: [n]),
    ("2002::/16", lambda n: [n >> 80]),
    ("2001::/32", lambda n: [n >> 64, ~n]),
]
INSIDE = [(NET(net), inner) for net, inner in INSIDE]
GLOBAL_UNICAST = NET("2000::/3")


def is_public(address):
    """The second opinion."""
    if any(address in net for net in METADATA):
        return False
    number = int(address)
    for net, inner in INSIDE:
        if address in net and number > 1:
            return all(is_public(ipaddress.IPv4Address(n & 0xFFFFFFFF)) for n in inner(number))
    known = [(net.prefixlen, public) for net, public in REGISTRY if address in net]
    if known and (max(known)[0] > 0 or address not in GLOBAL_UNICAST):
        return max(known)[1]
    return address.is_global


def edges():
    """Both ends of every special network, and the addresses beside them."""
    nets = [net for net, _ in REGISTRY] + [net for net, _ in INSIDE] + METADATA
    nets += map(NET, """
        0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.2.0/24
        192.31.196.0/24 192.52.193.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15
        198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 255.255.255.255 ::1 64:ff9b:1::/48 100::/64
        100:0:0:1::/64 2001:2::/48 2001:10::/28 2001:db8::/32 2620:4f:8000::/48 5f00::/16 fc00::/7
        fe80::/10 fec0::/10 ff00::/8 2000::/3""".split())
    for net in nets:
        kind, last = type(net.network_address), net.max_prefixlen
        for number in (int(net[0]) - 1, int(net[0]), int(net[0]) + 1, int(net[-1]) - 1,
                       int(net[-1]), int(net[-1]) + 1):
            if 0 <= number < 1 << last:
                yield kind(number)


def wrapped(four):
    """An IPv4 address in each of its IPv6 disguises."""
    n = int(four)
    six = ipaddress.IPv6Address
    return [six(0xFFFF << 32 | n), six(n), six(0x64FF9B << 96 | n), six(0x2002 << 112 | n << 80),
            six(0x20010000 << 96 | n << 64 | (~0x08080808 & 0xFFFFFFFF)),
            six(0x20010000 << 96 | 0x08080808 << 64 | (~n & 0xFFFFFFFF))]


def agree(tool, address):
    why = tool.ask("addr", addr=str(address))["why"]
    assert (why is None) == is_public(address), (address, why)


def test_the_edges_of_every_network(tool):
    addresses = set(edges())
    fours = [a for a in addresses if a.version == 4]
    for address in addresses.union(*map(wrapped, fours)):
        agree(tool, address)
    assert len(fours) > 100 and len(addresses) > 250


@SETTINGS
@given(address=st.one_of(
    st.ip_addresses(v=4), st.ip_addresses(v=6), st.ip_addresses(v=6, network="2000::/3"),
    st.ip_addresses(v=4).flatmap(lambda four: st.sampled_from(wrapped(four))),
))  # fmt: skip
def test_any_address(tool, address):
    agree(tool, address)


@pytest.mark.parametrize("text", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "1.2.3.4.5", "",
                                  "::1%lo", "::1%25lo", "[::1]", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\0",
                                  "::ffff:127.1", "localhost", "1.2.3.4/32", "::1/128", "1::2::3"])
def test_what_is_no_address(tool, text):
    assert tool.ask("addr", addr=text) == {"error": "no address"}
