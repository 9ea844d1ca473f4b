/* test_xml.c: what is found in an answer, and what is not. */
#include "aws/xml.h"

#include "support.h"

static void texts(void **state)
{
    static const struct {
        const char *doc, *name, *text; /* NULL: none */
    } rows[] = {
        {"<a><b>x</b></a>", "b", "x"},
        {"<?xml version=\"1.0\"?>\n<a xmlns=\"u\"><b t='1'>x y</b></a>", "b", "x y"},
        {"<a><bb>no</bb><b>yes</b></a>", "b", "yes"},
        {"<a><b/></a>", "b", ""},
        {"<a><b /><b>x</b></a>", "b", ""},
        {"<a><b></b></a>", "b", ""},
        {"<a><b>&lt;b&gt;&amp;&quot;&apos;&#65;&#x42;</b></a>", "b", "<b>&\"'AB"},
        {"<b>&#xfc;&#x6f22;&#x1F980;</b>", "b", "\xc3\xbc\xe6\xbc\xa2\xf0\x9f\xa6\x80"},
        {"<b>first</b><b>second</b>", "b", "first"},
        {"<a>x</a>", "b", NULL},
        {"", "b", NULL},
        {"<b>x", "b", NULL},
        {"<b", "b", NULL},
        {"<b>x</bb>", "b", NULL},
        {"<b>x</b", "b", NULL},
        {"<b><c>x</c></b>", "b", NULL},
        {"<b>&nope;</b>", "b", NULL},
        {"<b>a&amp</b>", "b", NULL},
        {"<b>&#0;</b>", "b", NULL},
        {"<b>&#xD800;</b>", "b", NULL},
        {"<b>&#x110000;</b>", "b", NULL},
        {"<b>&#99999999;</b>", "b", NULL},
        {"<b>&#1F;</b>", "b", NULL},
        {"<b>&#;</b>", "b", NULL},
        {"<!DOCTYPE a [<!ENTITY x \"y\">]><b>x</b>", "b", NULL},
        {"<b>x</b><!-- <b>y</b> -->", "b", "x"},
        {"<!-- <b>y</b> --><b>x</b>", "b", NULL},
        {"<b><!-- -->x</b>", "b", NULL},
        {"<a><![CDATA[<b>x</b>]]></a>", "b", NULL},
    };
    struct gw_arena arena = {0};

    (void)state;
    for (size_t i = 0; i < gw_count(rows); i++) {
        struct gw_slice text = gw_aws_xml_text(gw_slice_from(rows[i].doc), rows[i].name, &arena);
        expect(rows[i].text ? text.ptr && gw_slice_is(text, rows[i].text) : text.ptr == NULL,
               "%s: \"%.*s\"", rows[i].doc, GW_SLICE_ARG(text));
    }
    gw_arena_deinit(&arena);
}

static void one_after_the_other(void **state)
{
    struct gw_slice rest = GW_SLICE("<l><i><k>1</k></i> <i><k>2</k></i><i/><i><k>3</k></i></l>");
    struct gw_slice inner;
    struct gw_buf seen = {0};

    (void)state;
    while (gw_aws_xml_next(&rest, "i", &inner))
        gw_buf_addf(&seen, "[%.*s]", GW_SLICE_ARG(inner));
    expect_slice(gw_buf_slice(&seen), "[<k>1</k>][<k>2</k>][][<k>3</k>]");
    gw_buf_deinit(&seen);
}

/* Whatever comes, it is read within its bounds; a sanitizer looks. */
static void noise(void **state)
{
    static const char text[] = "<a><b>&lt;x&#65;</b><c/><b t=\"1\">y</b></a>";
    uint64_t seed = 11;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t len = draw(&seed) % sizeof(text);
        char *copy = gw_alloc(len + 1);
        struct gw_arena arena = {0};
        memcpy(copy, text, len);
        for (int k = 0; k < 3 && len > 0; k++)
            copy[draw(&seed) % len] = "<>/&;#b!x1"[draw(&seed) % 10];
        gw_aws_xml_text((struct gw_slice){copy, len}, "b", &arena);
        gw_arena_deinit(&arena);
        gw_free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(one_after_the_other),
        cmocka_unit_test(noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
