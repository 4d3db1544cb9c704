-- The databases in which the steps of `demo --into` play. Every script here is a step: its first batch asks for what the step
-- needs, by using it; the last one gives the figure, or NULL where something is not as it has to be. Where a server does not refuse
-- what it does not know, but answers something else, the first batch finds that out and throws 50404.
CREATE DATABASE BlobDeltaDemo;
GO
CREATE DATABASE BlobDeltaDemo_Delta;
GO
CREATE DATABASE BlobDeltaDemo_Copy;
