using System.Collections.Immutable;
using MultiCluster.Grains.Mirror;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <summary>Keeps account of what a watch has told, in the member's own versions. Not thread-safe.</summary>
internal sealed class WatchTrail(Guid registration, Guid history)
{
    // Every break in the middle of something adds one; a watch that breaks so often has other worries.
    private const int MaxPoints = 16;

    private ImmutableArray<MemberPoint> _points = [];
    private ImmutableArray<MemberKindVersion> _owners = [];

    /// <summary>Whether the last change is one half of what happened to an object.</summary>
    public bool IsBetween { get; private set; }

    /// <summary>What was told is this.</summary>
    public void Begin(ImmutableArray<MemberPoint> points)
    {
        _points = points;
        _owners = [];
    }

    /// <summary>Everything of the kind was told as of a point; of a negative version where it cannot be said.</summary>
    public void Reach(MemberPoint whole, ImmutableArray<MemberKindVersion> owners)
    {
        _points = whole.Version < 0 || owners.Any(static owner => owner.Version < 0) ? [] : [whole];
        _owners = owners;
    }

    /// <summary>Objects up to a key were told as of a version; those behind it are as they were.</summary>
    public void Reach(long version, ObjectKey through)
    {
        byte[] key = Bytes(through);
        _points = version < 0 || _points.IsEmpty
            ? []
            : [new MemberPoint(version, through), .. _points.Where(point => point.Through is not { } end || Bytes(end).AsSpan().SequenceCompareTo(key) > 0)];
        _points = _points.Length > MaxPoints ? [] : _points;
    }

    /// <summary>Takes a change of the watched kind.</summary>
    public void Follow(Change change)
    {
        IsBetween = change.Mark.Reach == MarkReach.Between;
        switch (change.Mark.Reach)
        {
            case MarkReach.Whole:
                Reach(new MemberPoint(change.Mark.Version, null), []);
                break;
            case MarkReach.Through:
                Reach(change.Mark.Version, KeyOf(change.Row));
                break;
            case MarkReach.Unknown:
                _points = [];
                break;
            default:
                break;   // the other half says it
        }
    }

    /// <summary>Where the watch stands in the history.</summary>
    /// <param name="stamp">Revision to go on from.</param>
    /// <param name="presentThrough">Last object of the present state that was told; null once all of it is.</param>
    public WatchPosition At(long stamp, ObjectKey? presentThrough = null) => new()
    {
        Registration = registration,
        History = history,
        Stamp = stamp,
        Points = _points,
        Owners = _owners,
        PresentThrough = presentThrough,
    };

    /// <summary>As <see cref="At"/>, where of what follows a key nothing was told yet.</summary>
    public WatchPosition AtOnlyThrough(ObjectKey through, long stamp)
    {
        byte[] key = Bytes(through);
        ImmutableArray<MemberPoint>.Builder points = ImmutableArray.CreateBuilder<MemberPoint>();
        foreach (MemberPoint point in _points)
        {
            bool isLast = point.Through is not { } end || Bytes(end).AsSpan().SequenceCompareTo(key) >= 0;
            points.Add(isLast ? point with { Through = through, Count = -1, Since = 0 } : point);
            if (isLast)
            {
                points.Add(new MemberPoint(0, null));
                break;
            }
        }

        return At(stamp, through) with { Points = points.DrainToImmutable() };
    }

    /// <summary>Key of a row.</summary>
    public static ObjectKey KeyOf(MirrorRow row) => new(row.Namespace, row.Name);

    /// <summary>The bytes by which a key is ordered.</summary>
    public static byte[] Bytes(ObjectKey key) => MirrorKey.Write(key.Namespace, key.Name, stackalloc byte[MirrorKey.MaxStackLength]).ToArray();
}
