"""The events and configs most tests need."""

from .server import CANARY
from .waiting import eventually

TYPE = "ORDER_SHIPPED"


def event(app, type=TYPE, **more):
    """Holds the canary, which must show up nowhere but at the client's."""
    return {"appId": app, "eventType": type, "note": CANARY, **more}


def subscribe(api, app, url, type=TYPE, **more):
    """Creates a config; the result, with its secret."""
    return api.create(appId=app, eventType=type, webhookUrl=url, **more)


def settled(api, delivery_id, status, timeout=20):
    """The delivery, once it has that status."""

    def reached():
        delivery = api.delivery(delivery_id)
        assert delivery["status"] == status, delivery
        return delivery

    return eventually(reached, timeout, f"{delivery_id} is {status}")


def attempted(api, delivery_id, attempts, timeout=20):
    """The delivery, once it has so many attempts."""

    def reached():
        delivery = api.delivery(delivery_id)
        assert delivery["attempts"] >= attempts, delivery
        return delivery

    return eventually(reached, timeout, f"{delivery_id} has {attempts} attempts")
