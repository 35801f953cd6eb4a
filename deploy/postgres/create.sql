-- Beside `catalog`, which the image creates: tables of scalars, and logins.
CREATE DATABASE tables OWNER tiled;
CREATE DATABASE logins OWNER tiled;
