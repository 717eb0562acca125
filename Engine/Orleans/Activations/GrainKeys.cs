using System.Globalization;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>How integer and GUID keys are written inside an identity: as upper-case hexadecimal and as 32 digits, like Orleans does.</summary>
internal static class GrainKeys
{
    public static string Write(long key) => key.ToString("X", CultureInfo.InvariantCulture);

    public static string Write(Guid key) => key.ToString("N", CultureInfo.InvariantCulture);

    public static bool TryReadInteger(GrainId id, out long key) =>
        long.TryParse(id.Key.ToString(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out key);

    public static bool TryReadGuid(GrainId id, out Guid key) => Guid.TryParseExact(id.Key.ToString(), "N", out key);
}
