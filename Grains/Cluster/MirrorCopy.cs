using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.CompilerServices;
using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;

namespace MultiCluster.Grains.Cluster;

/// <summary>What a mirror holds of a member that cannot be asked, taken out in one place and put into another.</summary>
/// <remarks>Without it a cluster that moves while its member is away would be empty until that is back.</remarks>
internal static class MirrorCopy
{
    /// <summary>Most pieces of a copy that are under way at a time.</summary>
    public const int UnderWay = 4;

    // Four of them fit into a message many times; and a piece is unpacked within a few milliseconds.
    private const int BytesOfPiece = 512 * 1024;

    /// <summary>How the server stands by the probes of a session.</summary>
    public static KnownHealth HealthOf(ClusterSession session)
    {
        HealthView health = session.Health;
        return new KnownHealth(health.State.Phase, health.State.Fault, health.State.Since, health.Version);
    }

    /// <summary>Everything at one moment, whatever changes meanwhile.</summary>
    public static async IAsyncEnumerable<MirrorPiece> TakeAsync(ClusterSession session, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (session.View.Surface is not { } surface)
        {
            yield break;
        }

        yield return new MirrorPiece
        {
            Outline = new MirrorOutline
            {
                Groups = [.. surface.Groups.Select(group => new ServedGroup(group.Name, group.Versions))],
                Resources = [.. surface.Resources.Select(ToWire)],
            },
        };
        KindTable[] tables = [.. session.Mirror.Kinds.Where(table => table.IsSynced)];
        MirrorMoment moment = session.Mirror.Capture(only: null);
        foreach (KindTable table in tables)
        {
            string kind = table.Type.GroupResource;
            if (moment.Find(kind) is not { } snapshot)
            {
                continue;
            }

            List<byte[]> objects = [];
            int bytes = 0;
            foreach (MirrorRow row in snapshot.All())
            {
                cancellationToken.ThrowIfCancellationRequested();
                byte[] json = row.ToJson();
                objects.Add(json);
                bytes += json.Length;
                if (bytes >= BytesOfPiece)
                {
                    yield return new MirrorPiece { GroupResource = kind, Version = table.Type.Version, Objects = [.. objects] };
                    await Task.Yield();   // others want their turn
                    objects.Clear();
                    bytes = 0;
                }
            }

            yield return new MirrorPiece
            {
                GroupResource = kind,
                Version = table.Type.Version,
                Objects = [.. objects],
                IsLast = true,
                ResourceVersion = moment.VersionOf(kind) is > 0 and var version ? version.ToString(CultureInfo.InvariantCulture) : table.ResourceVersion ?? "",
                HeardAt = session.StandingOf(kind)?.HeardAt,
            };
        }
    }

    /// <summary>Fills an empty mirror.</summary>
    /// <returns>What the session over it must know; null where the other mirror had nothing.</returns>
    public static async Task<MirrorSeed?> FillAsync(ClusterMirror mirror, IAsyncEnumerable<MirrorPiece> pieces, Action<string, FormatException> refused, CancellationToken cancellationToken)
    {
        bool isOutlined = false;
        ApiSurface surface = ApiSurface.Empty;
        Dictionary<string, DateTimeOffset?> heardAt = new(StringComparer.Ordinal);
        KindTable? table = null;
        bool isRefused = false;
        await foreach (MirrorPiece piece in pieces.WithCancellation(cancellationToken))
        {
            if (piece.Outline is { } first)
            {
                isOutlined = true;
                surface = new ApiSurface(
                    [.. first.Groups.Select(group => new ApiGroup(group.Name, group.Versions))], [.. first.Resources.Select(FromWire)], []);
                continue;
            }

            if (table?.Type.GroupResource != piece.GroupResource)
            {
                isRefused = false;
                table = surface.Resources.FirstOrDefault(type => type.GroupResource == piece.GroupResource && type.Version == piece.Version) is { } type ? mirror.AddKind(type) : null;
                table?.BeginReplace();
            }

            if (table is null || isRefused)
            {
                continue;
            }

            try
            {
                foreach (byte[] json in piece.Objects)
                {
                    table.Replace(json);
                }
            }
            catch (FormatException e)
            {
                table.AbortReplace();
                isRefused = true;
                refused(piece.GroupResource, e);
                continue;
            }

            if (piece.IsLast)
            {
                table.EndReplace(piece.ResourceVersion);
                heardAt[piece.GroupResource] = piece.HeardAt;
            }
        }

        return isOutlined ? new MirrorSeed(surface, heardAt) : null;
    }

    private static ServedResource ToWire(ResourceType type) => new()
    {
        Group = type.Group,
        Version = type.Version,
        Plural = type.Plural,
        Kind = type.Kind,
        Namespaced = type.Namespaced,
        Singular = type.Singular,
        ShortNames = type.ShortNames,
        Verbs = type.Verbs,
        Categories = type.Categories,
        Subresources = type.Subresources,
    };

    private static ResourceType FromWire(ServedResource served) => new(served.Group, served.Version, served.Plural, served.Kind, served.Namespaced)
    {
        Singular = served.Singular,
        ShortNames = served.ShortNames,
        Verbs = served.Verbs,
        Categories = served.Categories,
        Subresources = served.Subresources,
    };
}

/// <summary>What a session is told of a member that another has followed before.</summary>
/// <param name="Surface">What the member serves.</param>
/// <param name="HeardAt">When each kind was last heard of, for those whose objects are in the mirror already, by group-resource.</param>
internal sealed record MirrorSeed(ApiSurface Surface, IReadOnlyDictionary<string, DateTimeOffset?> HeardAt);
