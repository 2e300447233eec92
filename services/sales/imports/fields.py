"""What the columns of a list may mean, and the headers by which they are known without a mapping."""

from __future__ import annotations

from typing import Final

from kit.imports.values import Field, FieldKind

VIN: Final = "vin"
BRAND: Final = "brand"
SERIES: Final = "series"
MODEL: Final = "model"
NAME: Final = "customer.displayName"
PHONE: Final = "customer.phone"
CONSULTANT: Final = "consultant"
DELIVERY_TIME: Final = "deliveryTime"
INVOICE_DATE: Final = "invoiceDate"
ODOMETER: Final = "odometerKm"
PLATE: Final = "plate"
INSURANCE_EXPIRY_DATE: Final = "insuranceExpiryDate"
FINANCE_END_DATE: Final = "financeEndDate"
STORE: Final = "store"
# The same two in a list of customers, where they are the customer's own.
CUSTOMER_NAME: Final = "displayName"
CUSTOMER_PHONE: Final = "phone"

_NAMES: Final = ("customer name", "customer", "buyer", "buyer name", "客户姓名", "客户名称", "车主姓名", "车主", "姓名")
_PHONES: Final = (
    *("phone", "mobile", "telephone", "phone number", "mobile number", "customer phone", "contact number"),
    *("手机", "手机号", "手机号码", "电话", "电话号码", "联系电话", "联系方式", "客户电话"),
)
_STORES: Final = ("store", "dealer", "dealership", "dealer name", "门店", "店", "4S店", "经销商", "经销商名称", "店名")
_STORE: Final = Field(STORE, synonyms=_STORES, required_for_group=True)

DELIVERY_FIELDS: Final = (
    Field(
        VIN,
        synonyms=("vin code", "vin no", "chassis number", "frame number", "车架号", "VIN码", "车辆识别代号", "底盘号"),
        required=True,
    ),
    Field(BRAND, synonyms=("make", "品牌", "车辆品牌"), required=True),
    Field(SERIES, synonyms=("car series", "车系", "车辆系列"), required=True),
    Field(MODEL, synonyms=("car model", "trim", "车型", "车型名称", "车款")),
    Field(NAME, synonyms=_NAMES, personal=True),
    Field(PHONE, synonyms=_PHONES, personal=True),
    Field(
        CONSULTANT,
        synonyms=("sales consultant", "salesperson", "sales advisor", "销售顾问", "顾问", "销售员", "销售人员"),
    ),
    Field(
        DELIVERY_TIME,
        FieldKind.TIME,
        synonyms=("delivery date", "handover date", "delivered on", "交车日期", "交车时间", "交付日期", "提车日期"),
        required=True,
    ),
    Field(INVOICE_DATE, FieldKind.DAY, synonyms=("invoiced on", "开票日期", "发票日期", "开票时间")),
    Field(
        ODOMETER,
        FieldKind.WHOLE_NUMBER,
        synonyms=("odometer", "mileage", "里程", "公里数", "行驶里程", "里程数"),
        units=("km", "公里", "千米"),
    ),
    Field(
        PLATE,
        synonyms=("licence plate", "license plate", "plate number", "车牌", "车牌号", "车牌号码"),
        personal=True,
    ),
    Field(
        INSURANCE_EXPIRY_DATE,
        FieldKind.DAY,
        synonyms=("insurance expiry", "insurance end", "insured until", "保险到期", "保险到期日", "保险到期日期"),
    ),
    Field(
        FINANCE_END_DATE,
        FieldKind.DAY,
        synonyms=("finance end", "loan end", "贷款到期", "贷款到期日", "金融到期", "按揭到期"),
    ),
    _STORE,
)
CUSTOMER_FIELDS: Final = (
    Field(CUSTOMER_NAME, synonyms=("name", *_NAMES), required=True, personal=True),
    Field(CUSTOMER_PHONE, synonyms=_PHONES, personal=True),
    _STORE,
)
