"""The console, in a real browser."""

import os
import re

import pytest

from conftest import ACME, ADMIN_KEY, MARKUP, READER, SEEN, TOKEN, address, ask, call, started, stored
from gateways import PLANTED
from identity import CLIENT, SECRET, Identity

WAYS = {
    "desk-light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "desk-dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "hand-light": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light", "has_touch": True},
    "hand-dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "has_touch": True},
    "wall-light": {"viewport": {"width": 2560, "height": 1300}, "color_scheme": "light"},
}
# Colours are judged at the desk, and what a hand can hold in the light.
if "TOLLGATE_SCREENSHOTS" not in os.environ:
    del WAYS["hand-dark"]


def assert_accessible(page, where):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    serious = [
        f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']][:3]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert not serious, f"{where}: {serious}"


def assert_fits(page, where):
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if wide > 0:
        far = """[...document.querySelectorAll("main *")]
          .filter(one => !one.closest(".scroll") && one.getBoundingClientRect().right > innerWidth)
          .map(one => one.cloneNode(false).outerHTML)"""
        raise AssertionError(f"{where} is {wide} pixels too wide: {page.evaluate(far)[-5:]}")


def assert_sound(page, where):
    """One heading, accessible, not too wide, and no secret in it."""
    assert page.get_by_role("heading", level=1).count() == 1, where
    assert_fits(page, where)
    if page.viewport_size["width"] < 2000:
        assert_accessible(page, where)
    assert PLANTED not in page.content(), f"a secret is on {where}"


@pytest.mark.parametrize("way", WAYS)
def test_every_page_is_sound_in_use(visit, used, pictures, way):
    page = visit(used, **WAYS[way])
    page.goto("/")
    assert_sound(page, "the sign-in")
    pictures(page, f"{way}-sign-in")
    page.close()
    page = visit(used, ADMIN_KEY, **WAYS[way])
    for name in SEEN:
        assert page.goto(address(name)).status == 200, name
        assert_sound(page, name)
        pictures(page, f"{way}-{name.strip('/') or 'overview'}")
    for list, link, name in [
        ("requests", "Attempts", "request"),
        ("access-keys", "Web shop", "access-key"),
        ("configurations", "Team B", "configuration"),
        ("catalog?search=gpt-4o&provider=openai", "openai:gpt-4o", "model"),
    ]:
        page.goto(address(list))
        if name == "request":
            page.get_by_role("row").filter(has_text=re.compile("first|second")).nth(2).get_by_role("link").click()
        else:
            page.get_by_role("link", name=link, exact=True).click()
        page.wait_for_load_state()
        assert_sound(page, name)
        pictures(page, f"{way}-{name}")
    page.goto("/console/nothing")
    assert_sound(page, "a page that is not there")
    pictures(page, f"{way}-not-found")


def test_every_page_is_sound_before_anything_was_used(visit, fresh, pictures):
    page = visit(fresh, ADMIN_KEY)
    for name in SEEN:
        assert page.goto(address(name)).status == 200, name
        assert_sound(page, f"{name}, empty")
        pictures(page, f"empty-{name.strip('/') or 'overview'}")


def test_pages_can_be_read_without_javascript(visit, used):
    page = visit(used, ADMIN_KEY, java_script_enabled=False)
    for name in SEEN:
        page.goto(address(name))
        assert page.get_by_role("heading", level=1).count() == 1, name
    page.goto("/console/requests")
    assert page.get_by_role("row").count() > 20


def test_markup_in_names_models_and_agents_is_text(visit, used):
    page = visit(used, ADMIN_KEY)
    page.goto("/console/access-keys")
    page.get_by_role("link", name=MARKUP).click()
    assert page.get_by_role("heading", level=1).inner_text() == MARKUP
    page.goto("/console/requests?model=" + MARKUP)
    assert page.get_by_label("Model").input_value() == MARKUP
    page.goto("/console/audit-log")
    assert page.locator("main img").count() == 0


def test_a_key_is_made_used_and_revoked(visit, fresh, pictures):
    page = visit(fresh, ADMIN_KEY)
    page.get_by_role("link", name="Access keys", exact=True).first.click()
    page.get_by_label("Name").fill("Newsletter")
    page.get_by_label("Requests a minute").fill("many")
    page.get_by_label("US dollars a day").fill("3.50")
    page.get_by_role("button", name="Create").click()
    # What is wrong is said at its field, and nothing is lost.
    limit = page.get_by_label("Requests a minute")
    assert limit.get_attribute("aria-invalid") == "true" and limit.input_value() == "many"
    assert page.get_by_label("Name").input_value() == "Newsletter"
    assert page.get_by_label("US dollars a day").input_value() == "3.50"
    assert_accessible(page, "a form that was refused")
    pictures(page, "desk-refused")
    limit.fill("60")
    page.get_by_role("button", name="Create").click()
    token = page.locator("#token").inner_text()
    assert token.startswith("tg-") and f"api_key=\"{token}\"" in page.content().replace("&quot;", '"')
    ask(fresh, token, "demo:echo")
    page.goto("/console/requests")
    page.get_by_role("cell", name="ok").first.wait_for()
    page.goto("/console/access-keys")
    assert token not in page.content(), "it is shown once"
    page.get_by_role("link", name="Newsletter").click()
    page.get_by_label("Description").fill("Sent on Mondays")
    page.get_by_label("US dollars a day").fill("")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert page.get_by_text("Sent on Mondays").count() > 0
    assert page.get_by_text("$3.50 a day").count() == 0
    page.get_by_role("link", name="Rotate").click()
    assert_accessible(page, "the rotation")
    page.get_by_role("button", name="Rotate").click()
    rotated = page.locator("#token").inner_text()
    assert rotated != token
    for either in (token, rotated):
        ask(fresh, either, "demo:echo")
    stored(fresh, 3)
    page.goto("/console/requests?status=ok")
    assert page.locator("tbody tr").count() == 3
    page.goto("/console/access-keys")
    page.get_by_role("link", name="Newsletter").click()
    assert page.get_by_text("works on, ends").count() == 1
    page.get_by_role("link", name="Revoke").click()
    assert_accessible(page, "the question")
    page.get_by_role("button", name="Revoke").click()
    page.get_by_text("Revoked: every gateway refuses it").wait_for()
    assert page.get_by_role("link", name="Newsletter").count() == 0


def test_a_configuration_is_made_and_changed(visit, fresh):
    page = visit(fresh, ADMIN_KEY)
    page.goto("/console/configurations")
    page.get_by_label("Name").fill("Interns")
    page.get_by_label("Models", exact=True).select_option("Only these")
    page.get_by_label("Models that are allowed").fill("demo:echo\nnobody:nothing")
    page.get_by_role("button", name="Create").click()
    assert page.get_by_label("Models that are allowed").get_attribute("aria-invalid") == "true"
    page.get_by_label("Models that are allowed").fill("demo:echo")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", level=1, name="Interns").wait_for()
    assert page.get_by_text("Models: demo:echo").count() == 1
    page.get_by_label("US dollars in total").fill("5")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert page.get_by_text("$5.00 in total").count() == 1
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("Deleted.").wait_for()


def test_rules_are_edited_as_a_form_and_the_plan_shows_what_becomes_of_them(visit, fresh, pictures):
    spare = {"providerId": "first", "name": "spare", "value": "sk-spare-0123456789abcdef"}
    call(fresh, "POST", "/provider-keys", spare)
    page = visit(fresh, ADMIN_KEY)
    page.goto("/console/configurations")
    page.get_by_label("Name").fill("Routed")
    rule = page.get_by_role("group", name="Another rule")
    rule.get_by_label("For", exact=True).fill("nobody")
    rule.get_by_label("First").select_option("first-main of first, the account's")
    page.get_by_role("button", name="Create").click()
    rule = page.get_by_role("group", name="Rule 1")
    assert rule.get_by_label("For", exact=True).get_attribute("aria-invalid") == "true"
    assert rule.get_by_label("First").input_value() == "user:first-main"
    rule.get_by_label("For", exact=True).fill("first")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", level=1, name="Routed").wait_for()
    page.get_by_label("Model", exact=True).fill("first:echo")
    page.get_by_role("button", name="Show", exact=True).last.click()
    tried = page.get_by_role("region", name="Tried, in this order")
    passed_over = page.get_by_role("region", name="Not tried")
    assert "first-main" in tried.inner_text() and "spare" in passed_over.inner_text()
    rule = page.get_by_role("group", name="Rule 1")
    rule.get_by_label("First").select_option("spare of first, the account's")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    # The plan of the same request, by the new rule.
    assert "spare" in tried.inner_text() and "first-main" not in tried.inner_text()
    assert "The routing rule does not name this key" in passed_over.inner_text()
    assert_sound(page, "a plan")
    pictures(page, "desk-plan")
    rule.get_by_label("First").select_option("Nothing")
    rule.get_by_label("For", exact=True).fill("")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("It has no routing rules").wait_for()
    assert "first-main" in tried.inner_text()


def test_a_provider_is_made_and_tested(visit, fresh, pictures):
    demo = next(one for one in call(fresh, "GET", "/catalog/providers")["providers"] if one["id"] == "second")["baseUrl"]
    page = visit(fresh, ADMIN_KEY)
    page.goto("/console/providers")
    page.get_by_label("Provider id").fill("openai")
    page.get_by_label("Label").fill("My own")
    page.get_by_label("Base URL").fill(demo)
    page.get_by_label("Its models").fill("echo")
    page.get_by_label("How a key travels").select_option("It needs none")
    page.get_by_label("APIs that it has").fill("openai/chat-completions\nopenai/embeddings")
    page.get_by_role("button", name="Create").click()
    # Another has this id.
    assert page.get_by_label("Provider id").get_attribute("aria-invalid") == "true"
    assert page.get_by_label("Its models").input_value() == "echo"
    page.get_by_label("Provider id").fill("mine")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", level=1, name="My own").wait_for()
    page.get_by_label("Model", exact=True).fill("echo")
    page.get_by_role("button", name="Test").click()
    tried = page.get_by_role("region", name="What was tried")
    tried.wait_for()
    assert "yes" in tried.get_by_role("row").filter(has_text="openai/chat-completions").inner_text()
    assert_sound(page, "a test")
    pictures(page, "desk-test")
    ask(fresh, TOKEN, "first:503", "mine:echo")
    page.goto("/console/providers")
    health = page.get_by_role("region", name="Health, since this gateway was started")
    health.get_by_role("row", name=re.compile("^first .*503")).wait_for()
    assert_sound(page, "health")


def test_a_chat_is_streamed_and_shows_its_attempts(visit, fresh, pictures):
    page = visit(fresh, ADMIN_KEY)
    page.goto("/console/playground")
    page.get_by_label("Access key").fill(TOKEN)
    page.get_by_label("Model", exact=True).fill("first:503")
    page.get_by_label("Message").fill("Hello there")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("alert").wait_for()
    assert page.get_by_label("Message").input_value() == "Hello there", "it can be sent again"
    page.get_by_label("Model", exact=True).fill("second:echo")
    page.get_by_role("button", name="Send").click()
    page.locator(".turn .said").last.filter(has_text="Hello there").wait_for()
    page.locator(".turn").last.get_by_role("region", name="Attempts").wait_for()
    assert "x-tollgate-provider: second" in page.locator(".about").last.inner_text()
    assert_sound(page, "a chat")
    pictures(page, "desk-chat")
    assert TOKEN not in page.content()
    page = visit(fresh, ADMIN_KEY, java_script_enabled=False)
    page.goto("/console/playground")
    page.get_by_label("Access key").fill(TOKEN)
    page.get_by_label("Model", exact=True).fill("second:echo")
    page.get_by_label("Message").fill("Without a script")
    page.get_by_role("button", name="Send").click()
    page.locator(".said").filter(has_text="Without a script").wait_for()
    page.get_by_role("link", name="Its attempts and its charge").wait_for()


def test_usage_is_turned_around_and_taken_along(visit, used):
    page = visit(used, ADMIN_KEY)
    page.goto("/console/usage")
    page.get_by_label("By", exact=True).select_option("Model")
    page.get_by_label("And by").select_option("Day")
    page.get_by_role("button", name="Show", exact=True).last.click()
    row = page.get_by_role("row").filter(has_text="second:echo")
    assert row.count() == 1 and "24" in row.inner_text()
    assert_sound(page, "usage by model and day")
    for kind in ("CSV", "JSON lines"):
        with page.expect_download() as download:
            page.get_by_role("link", name=kind).click()
        text = open(download.value.path()).read()
        assert "second:echo" in text and len(text.splitlines()) > 2, text
    page.get_by_label("From (day, UTC)").fill("yesterday")
    page.get_by_role("button", name="Show", exact=True).last.click()
    assert page.get_by_label("From (day, UTC)").get_attribute("aria-invalid") == "true"
    assert page.get_by_label("From (day, UTC)").input_value() == "yesterday"


def test_credits_are_granted_once(visit, fresh):
    page = visit(fresh, ADMIN_KEY)
    page.goto("/console/credits")
    assert page.get_by_text("$100.00").count() > 0
    page.get_by_label("US dollars").fill("lots")
    page.get_by_role("button", name="Grant").click()
    assert page.get_by_label("US dollars").get_attribute("aria-invalid") == "true"
    page.get_by_label("US dollars").fill("20")
    page.get_by_role("button", name="Grant").click()
    page.get_by_text("Granted.").wait_for()
    assert page.get_by_text("$120.00").count() > 0
    page.goto("/console/books")
    page.get_by_text("The books balance.").wait_for()


def test_a_request_arrives_live_and_a_lost_connection_heals(visit, fresh):
    page = visit(fresh, ADMIN_KEY)
    page.goto("/console/requests")
    page.get_by_text("No requests here").wait_for()
    ask(fresh, TOKEN, "first:503", "second:echo")
    page.get_by_role("cell", name="second:echo").wait_for()
    page.context.set_offline(True)
    page.get_by_text("The connection is lost.").wait_for()
    ask(fresh, TOKEN, "demo:echo")
    page.context.set_offline(False)
    page.get_by_role("cell", name="demo:echo").wait_for()
    page.get_by_text("Live.").wait_for()


def test_who_may_only_read_is_offered_no_change(visit, used):
    page = visit(used, READER)
    for name in SEEN:
        page.goto(address(name))
        changes = page.locator("main form[method=post]")
        assert changes.count() == 0, f"{name}: {changes.all_inner_texts()}"


def test_a_tenant_sees_its_own_only(visit, used):
    page = visit(used, ACME)
    assert page.get_by_role("link", name="Accounts").count() == 0
    for name in SEEN:
        answer = page.goto(address(name))
        assert answer.status == (403 if name in ("accounts", "fleet") else 200), name
        text = page.locator("main").inner_text()
        for theirs in ("Web shop", "shop", "first-main", "second-main", "Team B"):
            assert theirs not in text, f"{name} tells {theirs}"
    assert page.goto("/console/requests?account=default").status == 403


def test_two_windows_and_the_end_of_a_session(visit, used):
    page = visit(used, ADMIN_KEY)
    other = page.context.new_page()
    other.goto("/console/credits?account=acme")
    assert other.get_by_text("$7.00").count() + other.get_by_text("$6.99").count() > 0
    page.goto("/console/credits")
    assert page.get_by_label("Account", exact=True).input_value() == "default"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    other.goto("/console/books")
    other.get_by_label("API key").fill("wrong")
    other.get_by_role("button", name="Sign in").click()
    other.get_by_role("alert").wait_for()
    other.get_by_label("API key").fill(ADMIN_KEY)
    other.get_by_role("button", name="Sign in").click()
    other.get_by_role("heading", level=1, name="Books").wait_for()


def test_all_can_be_done_with_the_keyboard(visit, used):
    page = visit(used, ADMIN_KEY)
    page.goto("/console/books")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_somebody_signs_in_by_the_identity_provider(visit, tmp_path, pictures):
    identity = Identity()
    roles = [{"group": "team-a", "role": "read-only"}]
    oidc = {"issuer": identity.issuer, "client_id": CLIENT, "client_secret": SECRET, "roles": roles}
    with started(tmp_path, {"oidc": oidc}) as gateway:
        page = visit(gateway)
        page.goto("/console/books")
        by = page.get_by_role("link", name="Sign in by 127.0.0.1")
        by.wait_for()
        assert_sound(page, "the sign-in with a provider")
        pictures(page, "desk-light-sign-in-by-provider")
        by.click()
        page.get_by_role("link", name="Continue as Ann").click()
        page.get_by_role("heading", level=1, name="Books").wait_for()
        assert page.get_by_text("ann@example.com").count() == 1
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", level=1, name="Logged out there").wait_for()
        page.goto("/console/books")
        by.wait_for()
        identity.person["groups"] = ["guests"]
        by.click()
        page.get_by_role("link", name="Continue as Ann").click()
        page.get_by_role("heading", level=1, name="No role here").wait_for()
        page.get_by_text("guests").wait_for()
        assert_sound(page, "somebody without a role")
    identity.close()
