"""deploy/app/mail_page.py: the mails that a project sends in development, as pages."""

from email.message import EmailMessage

import pytest

import mail_page


@pytest.fixture
def mail():
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "Your <order>", "shop@example.org", "ada@example.org"
    message.set_content("Thank you.")
    message.add_alternative("<script>alert(1)</script><h1>Thanks</h1>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename='a".pdf')
    return mail_page.Box().add(message.as_bytes(), ["ada@example.org", "hidden@example.org"])


def test_list_names_each_mail_and_its_recipients(mail):
    page = mail_page.list_page([mail])
    assert "Your &lt;order&gt;" in page
    assert "ada@example.org, hidden@example.org" in page
    assert "None yet" in mail_page.list_page([])


def test_mail_is_shown_without_running_what_is_in_it(mail):
    page = mail_page.mail_page(mail)
    assert '<iframe sandbox src="/1/html"' in page
    assert "<script>" not in page
    assert "<pre>Thank you.\n</pre>" in page
    assert 'download="a&quot;.pdf"' in page
    assert mail.body("html").startswith("<script>")
    assert mail_page.CONTENT["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert [content for _, content in mail_page.attachments(mail)] == [b"%PDF"]


def test_number_of_mails_is_bounded(monkeypatch):
    monkeypatch.setattr(mail_page, "MOST", 2)
    box = mail_page.Box()
    for number in range(3):
        box.add(f"Subject: {number}\r\n\r\nText".encode(), ["a@example.org"])
    assert [each.subject for each in box.all()] == ["2", "1"]
    assert (box.find(1), box.find(3).body("plain")) == (None, "Text")
    box.clear()
    assert box.all() == []


def test_what_is_no_mail_is_shown_too():
    mail = mail_page.Box().add(b"\xff\xfe\r\n", ["a@example.org"])
    assert "(no subject)" in mail_page.mail_page(mail)
